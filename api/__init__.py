"""How people ask: HTTP shapes in, ``domain`` words through, HTTP shapes out.

Starts and updates workflows and reads ``models.views``; holds no fulfillment logic and changes no row itself, other
than storing what was submitted.
"""
