"""Has what others have made follow the runbook, and restores it as it was."""
