"""
A learning platform that somebody else wrote: Open edX's plugin for LTI, as a server of its own.

It runs with the Python of `.venv/lti-platform`. Only what belongs to the rest of Open edX is stood in for: the block
that is opened, the list of members, the gradebook, and who may change the course. Usage:

    python openedx_platform.py DATABASE PORT TOOL
"""

from __future__ import annotations

import json
import sys
import threading
from socketserver import ThreadingMixIn
from types import SimpleNamespace
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

DATABASE, PORT, TOOL = sys.argv[1], int(sys.argv[2]), sys.argv[3]
BASE = f"http://127.0.0.1:{PORT}"
MEMBERS = 7

from django.conf import settings  # noqa: E402

settings.configure(
    SECRET_KEY="for tests",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    ROOT_URLCONF=__name__,
    PLATFORM_NAME="platform",
    LMS_ROOT_URL=BASE,
    FEATURES={},
    USAGE_ID_PATTERN="(?P<usage_id>[^/]+)",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE, "OPTIONS": {"timeout": 30}}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "config_models",
        "rest_framework",
        "lti_consumer",
    ],
    MIDDLEWARE=[
        "edx_django_utils.cache.middleware.RequestCacheMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)

import django  # noqa: E402

django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from lti_consumer import api  # noqa: E402
from lti_consumer.data import Lti1p3LaunchData  # noqa: E402
from lti_consumer.models import (  # noqa: E402
    Lti1p3Passport,
    LtiAgsLineItem,
    LtiAgsScore,
    LtiConfiguration,
    LtiDlContentItem,
)
from lti_consumer.plugin import compat  # noqa: E402
from opaque_keys.edx.keys import UsageKey  # noqa: E402

LOCATION = UsageKey.from_string("block-v1:grader+gradients+1+type@lti_consumer+block@week1")
gradebook: list[dict[str, Any]] = []


class Block:
    """The block in a course that holds the link."""

    has_score = True
    accept_grades_past_due = True
    lti_1p3_passport_id = ""
    display_name = "Gradients"
    context_id = str(LOCATION.course_key)
    scope_ids = SimpleNamespace(usage_id=LOCATION, user_id=None)

    def is_past_due(self) -> bool:
        return False

    def max_score(self) -> float:
        return 1.0

    def set_user_module_score(self, user: str, score: float, maximum: float, comment: str) -> None:
        gradebook.append({"user": user, "score": score, "comment": comment})


def members(course: object) -> dict[int, dict[str, Any]]:
    roles = {0: ["staff"]}
    return {n: {"id": n, "username": f"member{n}", "roles": roles.get(n, ["student"])} for n in range(MEMBERS)}


compat.load_enough_xblock = lambda location: Block()
compat.load_block_as_user = lambda location: Block()
compat.get_user_from_external_user_id = lambda subject: subject
compat.user_has_studio_write_access = lambda user, course: True
compat.get_course_members = members
compat.batch_get_or_create_externalids = lambda users: {
    n: SimpleNamespace(external_user_id=f"subject-{n}") for n in range(MEMBERS)
}


def click(request: Any) -> JsonResponse:
    """Where the browser goes when somebody opens the link, or makes it."""
    configuration = LtiConfiguration.objects.get()
    makes_link = request.GET.get("makes_link") == "yes"
    item = LtiDlContentItem.objects.first() if request.GET.get("made") == "yes" else None
    data = Lti1p3LaunchData(
        user_id=int(request.GET["user"]),
        external_user_id=f"subject-{request.GET['user']}",
        user_role=request.GET["role"],
        config_id=configuration.config_id,
        resource_link_id=str(LOCATION),
        context_id=str(LOCATION.course_key),
        context_type=["course_offering"],
        context_title="Gradients by hand",
        launch_presentation_return_url=request.GET.get("returns_to"),
    )
    address = api.get_lti_1p3_launch_start_url(
        data, deep_link_launch=makes_link, dl_content_id=item.id if item else None
    )
    return JsonResponse({"address": address})


def state(request: Any) -> JsonResponse:
    """What the platform has in its database and in its gradebook."""
    passport = LtiConfiguration.objects.get().lti_1p3_passport
    scores = LtiAgsScore.objects.values("user_id", "score_given", "score_maximum", "comment", "line_item_id")
    return JsonResponse(
        {
            "client_id": passport.lti_1p3_client_id,
            "passport": str(passport.passport_id),
            "links": list(LtiDlContentItem.objects.values("content_type", "attributes")),
            "columns": list(LtiAgsLineItem.objects.values("id", "resource_id", "tag", "label", "score_maximum")),
            "scores": list(scores),
            "gradebook": gradebook,
        }
    )


def give(request: Any) -> JsonResponse:
    """A teacher gives another score by hand, later than all others so far."""
    score = LtiAgsScore.objects.get(user_id=request.GET["user"])
    score.score_given = float(request.GET["points"])
    score.timestamp = django.utils.timezone.now() + django.utils.timezone.timedelta(seconds=5)
    score.save()
    return JsonResponse({})


urlpatterns = [
    path("api/", include("lti_consumer.plugin.urls")),
    path("click", click),
    path("state", state),
    path("give", give),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def main() -> None:
    call_command("migrate", verbosity=0)
    passport = Lti1p3Passport.objects.create(lti_1p3_tool_keyset_url=f"{TOOL}/lti/jwks")
    assert passport.lti_1p3_private_key
    LtiConfiguration.objects.create(
        version=LtiConfiguration.LTI_1P3,
        config_store=LtiConfiguration.CONFIG_ON_DB,
        location=LOCATION,
        lti_1p3_passport=passport,
        lti_1p3_oidc_url=f"{TOOL}/lti/login",
        lti_1p3_launch_url=f"{TOOL}/lti/launch",
        lti_advantage_enable_nrps=True,
        lti_advantage_deep_linking_enabled=True,
        lti_advantage_deep_linking_launch_url=f"{TOOL}/lti/launch",
        lti_advantage_ags_mode=LtiConfiguration.LTI_ADVANTAGE_AGS_PROGRAMMATIC,
    )
    with make_server("127.0.0.1", PORT, get_wsgi_application(), server_class=Server, handler_class=Quiet) as server:
        sys.stdout.write(json.dumps({"base": BASE}) + "\n")
        sys.stdout.flush()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()  # the test closes it
        server.shutdown()


if __name__ == "__main__":
    main()
