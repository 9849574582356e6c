"""Tests of the certificates that connections trust, and of the root certificates of RDS."""

import os
import pkgutil
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from readplane.aws.slim.roots import PEM as AMAZON_ROOTS
from readplane.stores.relational import rds_roots as package
from readplane.stores.relational.errors import UnreachableError
from readplane.stores.relational.rds_roots import rds_roots
from readplane.stores.relational.tls import ca_file

REGIONS = [module.name.replace("_", "-") for module in pkgutil.iter_modules(package.__path__)]


def certificates(pem: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem.encode())


@pytest.mark.parametrize("region", REGIONS)
def test_region_has_its_three_roots_for_years(region: str) -> None:
    pem = rds_roots(region)
    assert pem is not None
    roots = certificates(pem)
    names = [root.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value for root in roots]
    assert names == [f"Amazon RDS {region} Root CA {kind} G1" for kind in ("RSA2048", "RSA4096", "ECC384")]
    for root in roots:
        root.verify_directly_issued_by(root)
        assert root.not_valid_after_utc > datetime.now(UTC) + timedelta(days=365)
        assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_regions_of_the_stack_are_covered() -> None:
    assert {"eu-central-1", "eu-west-1", "us-east-1", "us-west-2", "ap-northeast-1", "sa-east-1"} <= set(REGIONS)
    assert rds_roots("xx-north-1") is None


@pytest.mark.parametrize(
    "name", ["x.cluster-ro-abc.eu-central-1.rds.amazonaws.com", "X.Proxy-1.EU-Central-1.rds.amazonaws.com"]
)
def test_host_of_rds_trusts_its_region_and_amazon_only(name: str) -> None:
    trusted = Path(ca_file(name, None)).read_text()
    assert trusted == (rds_roots("eu-central-1") or "") + AMAZON_ROOTS
    assert trusted.count("BEGIN CERTIFICATE") == 8


def test_region_without_roots_needs_certificates_in_the_settings() -> None:
    host = "x.xx-north-1.rds.amazonaws.com"
    with pytest.raises(UnreachableError, match="NoCertificates"):
        ca_file(host, None)
    assert Path(ca_file(host, AMAZON_ROOTS)).read_text() == AMAZON_ROOTS


def test_other_host_trusts_the_systems_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    for host in ("db.example.com", "x.eu-central-1.rds.amazonaws.com.example.com", "rds.amazonaws.com"):
        assert ca_file(host, None) == str(bundle)


def test_file_is_private_and_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(ca_file("db.example.com", "the PEM text"))
    assert path.read_text() == "the PEM text"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_uid == os.getuid()
    assert ca_file("other.example.com", "the PEM text") == str(path)
    path.unlink()  # Lambda may restore a sandbox without it
    again = Path(ca_file("db.example.com", "the PEM text"))
    assert again.read_text() == "the PEM text"
    assert re.search("readplane-ca-", again.name)
