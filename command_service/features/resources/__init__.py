"""Resources, the example business object: something with an owner that is recorded, changed and put away."""
