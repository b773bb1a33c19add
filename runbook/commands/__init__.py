"""The runbook's commands, a module each; `runbook.cli` puts them together."""
