"""Where events of security go: who was not believed, and whom we believe from now on.

In a log of text they stand out by this name; besides, each carries `security`, which is true.
"""

from twisted.logger import Logger

securityLog = Logger(namespace="epnet.security")
