"""The style of the HTML report: light and dark by the reader's preference, plain on paper."""

STYLESHEET = """
:root{color-scheme:light dark;--paper:#fff;--raised:#f6f7f9;--ink:#1b1f24;--soft:#59636e;--rule:#d8dee4;
--truth:#0f766e;--pred:#c2410c;--prob:#4f46e5;--alarm:#b42318;--good:#15803d;--gold:#a16207;--violet:#7e22ce;
--blue:#0369a1;--grey:#8b949e}
@media (prefers-color-scheme:dark){:root{--paper:#14171b;--raised:#1d2126;--ink:#e6e9ed;--soft:#9aa4af;
--rule:#333a42;--truth:#2dd4bf;--pred:#fb923c;--prob:#a5b4fc;--alarm:#f87171;--good:#4ade80;--gold:#facc15;
--violet:#d8b4fe;--blue:#38bdf8;--grey:#7d8792}}
@media print{:root{color-scheme:light;--paper:#fff;--raised:#fff;--ink:#000;--soft:#444;--rule:#bbb;
--truth:#0f766e;--pred:#c2410c;--prob:#4f46e5;--alarm:#b42318;--good:#15803d;--gold:#a16207;--violet:#7e22ce;
--blue:#0369a1;--grey:#777}}
*{box-sizing:border-box}
body{margin:0 auto;padding:28px 24px 60px;max-width:1080px;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
overflow-wrap:anywhere}
h1{font-size:26px;line-height:1.2;margin:0 0 6px}
h2{font-size:19px;margin:40px 0 12px;padding-bottom:6px;border-bottom:1px solid var(--rule)}
h3{font-size:15px;margin:0}
p{margin:6px 0}.soft{color:var(--soft)}code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.alarm{border:1px solid var(--alarm);border-left-width:6px;color:var(--alarm);padding:10px 14px;margin:16px 0;
border-radius:4px;font-weight:600}
.notes{margin:14px 0;padding:10px 14px 10px 32px;background:var(--raised);border-radius:6px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:18px}
.thirds{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,310px),1fr));gap:14px}
figure{margin:0;padding:12px 14px;background:var(--raised);border:1px solid var(--rule);border-radius:8px}
figure.wide{margin-top:18px}
figcaption{font-size:13px;color:var(--soft);margin-bottom:6px}figcaption b{color:var(--ink)}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-size:11.5px;fill:var(--soft);paint-order:stroke;stroke:var(--raised);stroke-width:3px}
svg .name{fill:var(--ink)}
.grid{stroke:var(--rule);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}
.line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}.fill{fill:var(--c)}
.dot{fill:var(--c);stroke:var(--raised);stroke-width:1.5}
.line.iso{stroke:var(--grey);stroke-width:1;stroke-dasharray:3 4}
.line.cut{stroke:var(--ink);stroke-width:1.2;stroke-dasharray:6 4}
.line.whisker{stroke-width:1.4;--c:var(--prob)}
.truth{--c:var(--truth)}.pred{--c:var(--pred)}.prob{--c:var(--prob)}.chance{--c:var(--grey)}
.shade{--c:var(--truth);opacity:.13}.plateau{--c:var(--pred);opacity:.16}.quiet{--c:var(--grey);opacity:.55}
.correct{--c:var(--truth)}.wrong_type{--c:var(--gold)}.merged{--c:var(--violet)}.split{--c:var(--blue)}
.shifted{--c:var(--pred)}.missed{--c:var(--alarm)}.spurious{--c:var(--grey)}
.up{--c:var(--grey)}.down{--c:var(--ink)}.bars{fill:none;stroke:var(--c)}.line.rule{stroke:var(--rule);stroke-width:1}
.line.dashed{stroke-dasharray:5 4}.quiet-shade{--c:var(--grey);opacity:.18}
.one{--c:var(--blue)}.two{--c:var(--pred)}.three{--c:var(--truth)}.four{--c:var(--violet)}.five{--c:var(--gold)}
.six{--c:var(--alarm)}.seven{--c:var(--grey)}.eight{--c:var(--prob)}
svg .inside{fill:var(--paper);font-weight:600;stroke:none}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:12.5px;color:var(--soft);margin-top:4px}
.legend i{display:inline-block;width:10px;height:10px;border-radius:2px;background:var(--c);margin-right:6px}
.legend i.ring{border-radius:50%;background:var(--ink)}
nav{display:flex;flex-wrap:wrap;gap:4px 14px;font-size:13px;margin:14px 0 0}nav a{color:var(--blue)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
th,td{padding:5px 10px 5px 0;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
th{font-weight:600;color:var(--soft)}th:first-child,td:first-child{text-align:left}
td.words,th.words{white-space:normal;text-align:left;min-width:12em}
th.words{padding-left:10px}td.words{padding-left:10px}td.strip{width:170px;padding:0 10px 0 0}
.met{color:var(--good);font-weight:600}.failed{color:var(--alarm);font-weight:600}
.metric{padding:10px 0;border-bottom:1px solid var(--rule)}.metric p{margin:2px 0;font-size:13.5px}
.metric .counts{font-size:12.5px;color:var(--soft)}
@page{margin:13mm}
@media print{nav{display:none}
body{font-size:9pt;max-width:none;padding:0}figure,.metric,tr{break-inside:avoid}
h2{break-after:avoid;margin-top:22px}.scroll{overflow:visible}table{font-size:7pt}
th,td{white-space:normal;padding:2px 5px 2px 0;overflow-wrap:normal}code{font-size:.95em}td.strip{width:90px}
.metric p,.metric .counts{font-size:7.5pt}.figures{grid-template-columns:1fr 1fr;gap:10px}
.thirds{grid-template-columns:1fr 1fr 1fr;gap:8px}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
