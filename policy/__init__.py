"""The policy pack: what every stack must have, as pure rules over resources, and as a pack of Pulumi's."""
