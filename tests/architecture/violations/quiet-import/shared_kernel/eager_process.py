"""A lending desk, planted to break a rule."""

import subprocess
import sys

subprocess.run([sys.executable, "-c", ""], check=True)
