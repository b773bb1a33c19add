"""Runs the unmodified Pulumi program in process and makes what it describes, on MiniStack through boto3."""
