"""
Grades a class: reads what course platforms export, grades in parallel, keeps the results, and makes what goes back.
"""
