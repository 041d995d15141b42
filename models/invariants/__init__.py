"""What must hold of the system's own rows, and between them and the neighbours' ledgers (reliability.md 3).

Everything here only reads. ``orders`` looks at our own rows, ``ledgers`` compares them with what a neighbour lists,
``anew`` works orders out anew; ``examination`` asks them all of one snapshot.
"""
