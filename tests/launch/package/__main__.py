import os
import sys

exec(open(os.path.join(os.path.dirname(__file__), "..", "report.py")).read())
