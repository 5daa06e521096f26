"""Whom a small British company buys from: trades, their words in four languages, and invented names."""

from __future__ import annotations

from typing import NamedTuple


class Trade(NamedTuple):
    """One kind of supplier.

    Attributes:
        code: Account that its invoices are booked on.
        weight: How often it is bought from, against the others.
        vat: Whether British invoices carry tax that is reclaimed.
        words: What its names end in.
        abroad: The same in German, French and Spanish; empty where nothing is bought abroad.
    """

    code: str
    weight: float
    vat: bool
    words: tuple[str, ...]
    abroad: tuple[str, ...] = ()


TRADES = (
    Trade("7300", 4, True, ("Fuel", "Petrol Station"), ("Tankstelle", "Station-service", "Gasolinera")),
    Trade("7400", 4, False, ("Rail", "Train Tickets"), ("Bahn", "Chemins de fer", "Ferrocarriles")),
    Trade("7402", 3, True, ("Hotel", "Hotels"), ("Gasthof", "Hôtel", "Hostal")),
    Trade("7406", 3, True, ("Cafe", "Sandwich Bar"), ("Imbiss", "Brasserie", "Cafetería")),
    Trade("7502", 4, True, ("Stationers", "Office Supplies"), ("Bürobedarf", "Papeterie", "Papelería")),
    Trade("5000", 5, True, ("Timber Merchants", "Materials"), ("Baustoffe", "Matériaux", "Materiales")),
    Trade("5003", 2, True, ("Packaging", "Boxes"), ("Verpackungen", "Emballages", "Embalajes")),
    Trade("6002", 3, False, ("Joinery Subcontractors", "Labour Subcontract")),
    Trade("6201", 2, True, ("Advertising", "Media Adverts"), ("Werbung", "Publicité", "Publicidad")),
    Trade("7500", 1, True, ("Printers", "Print Works"), ("Druckerei", "Imprimerie", "Imprenta")),
    Trade("7501", 2, False, ("Couriers", "Parcel Post"), ("Kurierdienst", "Messagerie", "Mensajería")),
    Trade("7550", 2, True, ("Telephone", "Telecom"), ("Telefonie", "Téléphonie", "Telefonía")),
    Trade("7551", 2, True, ("Broadband", "Internet"), ("Internetdienste", "Accès réseau", "Fibra")),
    Trade("7552", 2, True, ("Computers", "IT Hardware"), ("Computerhandel", "Informatique", "Ordenadores")),
    Trade("7553", 1, True, ("Mobile", "Mobile Phones"), ("Mobilfunk", "Téléphonie mobile", "Móviles")),
    Trade("7606", 3, True, ("Cloud Software", "Software"), ("Softwarehaus", "Logiciels", "Programas")),
    Trade("7100", 1, False, ("Property Lettings", "Estates Rent"), ("Miete", "Loyers", "Alquileres")),
    Trade("7102", 1, False, ("Water", "Water Services")),
    Trade(
        "7200", 2, True, ("Electricity", "Power Supply"), ("Stromversorgung", "Électricité", "Electricidad")
    ),
    Trade("7201", 1, True, ("Gas", "Gas Supply")),
    Trade("7301", 2, True, ("Garage", "Motor Repairs"), ("Autowerkstatt", "Réparations auto", "Taller")),
    Trade("7403", 1, False, ("Restaurant", "Client Dinner")),
    Trade("7600", 1, True, ("Solicitors", "Law"), ("Rechtsanwälte", "Avocats", "Abogados")),
    Trade("7602", 1, True, ("Accountants", "Bookkeeping")),
    Trade("7603", 2, True, ("Consulting", "Consultants"), ("Beratung", "Conseil", "Consultoría")),
    Trade("7700", 1, True, ("Plant Hire", "Tool Hire"), ("Mietgeräte", "Location matériel", "Maquinaria")),
    Trade("7701", 1, True, ("Copier Maintenance", "Machine Servicing")),
    Trade("7800", 2, True, ("Plumbing Repairs", "Roofing Repairs")),
    Trade("7801", 2, True, ("Cleaning", "Cleaners"), ("Reinigung", "Nettoyage", "Limpieza")),
    Trade("8201", 1, False, ("Institute Membership", "Trade Association")),
    Trade("8202", 1, True, ("Workwear", "Uniforms")),
    Trade("8203", 1, True, ("Training", "Courses"), ("Schulungen", "Formations", "Cursos")),
    Trade("8204", 1, False, ("Insurance", "Insurance Brokers")),
    Trade("7303", 1, False, ("Motor Insurance", "Fleet Insurance")),
    Trade("8205", 2, True, ("Coffee Supplies", "Tea and Water Coolers")),
)

ENGLISH = (
    "Hartley Brook Ashdown Merrion Castell Pembury Larkfield Oakhurst Quillan Redmire Stanway Thorne "
    "Underhill Venning Westacre Yarrow Birchall Coldwell Dunmore Elstow Fenwick Garside Holbeck Ivybridge "
    "Jessop Kelham Lindale Marwood Northam Osgood Penrose Rushden Selwood Tamar Upwell Vexford Wharram "
    "Averill Bellamy Corfield"
)
NAMES = tuple(ENGLISH.split())
SPOKEN_ABROAD = (
    "Albrecht Brandner Dorn Eichel Falkner Grünwald Hellwig Jäger Köhler Lindner",
    "Aubry Bellerose Charpin Delorme Estève Fournel Garance Lenoir Mercier Vasseur",
    "Aranda Bermejo Cordero Duque Escobar Fuentes Galán Herrero Lozano Núñez",
)
NAMES_ABROAD = tuple(tuple(names.split()) for names in SPOKEN_ABROAD)
"""German, French and Spanish names."""

CUSTOMERS = tuple(
    f"{name} {kind}" for name, kind in zip(NAMES[:24], ("Ltd", "Group", "and Sons") * 8, strict=True)
)
