"""The settings of a stack with the roles around it."""

DELIVERY = {
    "repository": "kitchen/recipes",
    "operators": '["arn:aws:iam::111122223333:role/cooks"]',
    "readers": '["arn:aws:iam::111122223333:user/guest"]',
    "stateBucket": "kitchen-state",
    "stateKeyArn": "arn:aws:kms:us-east-1:111122223333:key/11112222",
}
