"""AWS as the runbook uses it: clients, the Data API, API Gateway, Lambda, streams."""
