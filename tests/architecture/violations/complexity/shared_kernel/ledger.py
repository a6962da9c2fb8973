"""A lending desk, planted to break a rule."""


async def classify(size: int, colour: str, *, old: bool) -> str:
    """Eight forks make nine ways."""
    if size > 10 and old:
        return "large and old"
    if size > 5 or colour == "red":
        return "medium"
    for letter in colour:
        if letter == "x":
            return "odd"
    return "even" if size % 2 == 0 else "small" if old else "new"
