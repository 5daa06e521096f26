"""What moola-losses takes and gives at its border. Balancer configurations stand beside their classes."""
