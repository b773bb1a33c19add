"""The two availability zones of the legacy cluster's subnets."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.settings import PROJECT, Settings, SettingsError

NEEDED = 2  # by a group of database subnets
# "Requirements and limitations for Aurora Serverless v2"
AURORA = "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.requirements.html"


def choose(settings: Settings) -> tuple[str, str]:
    """The zones of the setting, else the region's first two.

    Raises:
        SettingsError: there are fewer, or Aurora Serverless is not in one of them.
    """
    # without this filter an account's local zones come first, where Aurora cannot be
    regular = aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])
    available = aws.get_availability_zones(state="available", filters=[regular]).names
    possible = _with_aurora(settings) or available
    chosen = tuple(settings.availability_zones or available[:NEEDED])
    missing = [zone for zone in chosen if zone not in available or zone not in possible]
    if not missing and len(chosen) == NEEDED:
        return chosen[0], chosen[1]
    usable = [zone for zone in available if zone in possible]
    example = usable[0] if usable else "ZONE"
    problem = (
        f"{PROJECT}:availabilityZones: expected {NEEDED} zones with Aurora Serverless v2 "
        f"{settings.engine_version}, of {', '.join(usable) or 'none in this region'}; got {', '.join(chosen)} "
        f"({AURORA}); set it as in `pulumi config set --path '{PROJECT}:availabilityZones[0]' {example}`"
    )
    raise SettingsError([problem])


def _with_aurora(settings: Settings) -> Sequence[str]:
    """The zones in which AWS sells this Aurora; empty if it does not say."""
    try:
        return aws.rds.get_orderable_db_instance(
            engine="aurora-mysql",
            engine_version=settings.engine_version,
            instance_class="db.serverless",
            storage_type="aurora",
        ).availability_zones
    except Exception as error:  # noqa: BLE001  # the choice does not depend on it, so AWS may still refuse it
        pulumi.warn(f"AWS did not say which availability zones have Aurora: {error}")
        return []
