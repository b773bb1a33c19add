"""What is deployed: Pulumi components, one per system."""
