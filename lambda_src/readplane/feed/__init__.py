"""The function `feed`: writes changed items to the item cache and to the relational database."""
