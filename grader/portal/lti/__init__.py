"""
LTI 1.3 Advantage: a learning platform (Canvas, Moodle, Open edX) opens the portal and receives the scores.

A *platform* is the other side, and this is the *tool*. `tool.py` has what every step needs. `login.py` and `launch.py`
are the two halves of a click on a link, and `routes.py` makes them pages. `lineitems.py`, `outbox.py` and `roster.py`
talk to the platform while nobody is there, through `services.py`. Whatever a platform or a browser says is
bounded and checked, and refused in one sentence.
"""
