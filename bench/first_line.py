"""Runs in a job container: seconds since the moment given, which is the moment before the container was asked for."""

import sys
import time

print(time.time() - float(sys.argv[1]))
