"""Fill a django-machina forum with the threads of standard input and print their pages, as JSON.

Runs in an environment of its own, with django-machina; see django_sites.py.
"""

from __future__ import annotations

import json
import sys

import django
from django.conf import settings
from django.core.management import call_command

data = json.load(sys.stdin)

from machina import MACHINA_MAIN_STATIC_DIR, MACHINA_MAIN_TEMPLATE_DIR  # noqa: E402

FORUM = "forum forum_conversation forum_conversation.forum_attachments forum_conversation.forum_polls forum_feeds "
FORUM += "forum_moderation forum_search forum_tracking forum_member forum_permission"
settings.configure(
    SECRET_KEY="pages",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        "django.contrib.humanize",
        "mptt",
        "haystack",
        "widget_tweaks",
        "machina",
        *(f"machina.apps.{name}" for name in FORUM.split()),
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    CACHES={
        name: {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        for name in ("default", "machina_attachments")
    },
    HAYSTACK_CONNECTIONS={"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
    LANGUAGE_CODE=data["language"],
    STATIC_URL="/static/",
    STATICFILES_DIRS=[MACHINA_MAIN_STATIC_DIR],
    USE_TZ=True,
    USE_I18N=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    ROOT_URLCONF="forum_urls",
    MACHINA_FORUM_NAME=data["forum"],
    MACHINA_MARKUP_LANGUAGE=None,
    MACHINA_DEFAULT_AUTHENTICATED_USER_FORUM_PERMISSIONS=["can_see_forum", "can_read_forum"],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [MACHINA_MAIN_TEMPLATE_DIR],
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                    "django.template.context_processors.i18n",
                    "machina.core.context_processors.metadata",
                ]
            },
        }
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "machina.apps.forum_permission.middleware.ForumPermissionMiddleware",
    ],
)
django.setup()
call_command("migrate", verbosity=0)

from django.contrib.auth.models import User  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402
from machina.core.db.models import get_model  # noqa: E402
from machina.test.factories import create_category_forum, create_forum, create_topic  # noqa: E402

Post = get_model("forum_conversation", "Post")
Permission, Grant = (
    get_model("forum_permission", "ForumPermission"),
    get_model("forum_permission", "GroupForumPermission"),
)
UserGrant = get_model("forum_permission", "UserForumPermission")
forum = create_forum(parent=create_category_forum(name=data["forum"]), name=data["section"])
for permission in Permission.objects.filter(codename__in=["can_see_forum", "can_read_forum"]):
    for target in (forum.parent, forum):
        UserGrant.objects.create(permission=permission, forum=target, anonymous_user=True, has_perm=True)
addresses = []
for thread in data["threads"]:
    topic = None
    for post in thread["posts"]:
        user = User.objects.get_or_create(username=post["author"])[0]
        if topic is None:
            topic = create_topic(forum=forum, poster=user, subject=thread["title"])
        subject = thread["title"] if not topic.posts.exists() else f"Re: {thread['title']}"
        made = Post.objects.create(topic=topic, poster=user, subject=subject[:250], content=post["html"], approved=True)
        Post.objects.filter(pk=made.pk).update(created=timezone.datetime.fromisoformat(post["date"] + "+00:00"))
    addresses.append(f"/forum/{forum.slug}-{forum.pk}/topic/{topic.slug}-{topic.pk}/")
client = Client(HTTP_ACCEPT_LANGUAGE=data["language"])
json.dump([client.get(address, follow=True).content.decode() for address in addresses], sys.stdout)
