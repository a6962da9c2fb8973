"""Who is asking and what they may do: mechanism only, each feature brings its own vocabulary."""
