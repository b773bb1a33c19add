"""What Pulumi starts for `--policy-pack policy`."""

from pulumi_policy import EnforcementLevel, PolicyPack

from policy import pack

PolicyPack("streamback", pack.policies(), enforcement_level=EnforcementLevel.MANDATORY)
