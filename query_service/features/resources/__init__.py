"""Resources: the example business object, one by one, in lists and with its history."""
