"""Commissioning a camera: from watching it to a bundle that was trained and calibrated on what it saw.

`needs` says how much has to be recorded, `recordings` what there is, `steps` makes the bundle of it.
"""
