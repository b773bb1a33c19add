"""What the workflows run: a preview on the sandbox, and the text of a pull request's comment."""
