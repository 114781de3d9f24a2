"""Whom to believe (Framing §2, wire-profile *Trust policies*).

``policies`` judge certificates; ``devicelist`` and ``revocation`` are the files that two of them go
by; ``sources`` says which files those are; ``keeper`` follows them while a program runs.
"""
