"""Fill an Oscar shop with the products of standard input and print their pages, as JSON.

Runs in an environment of its own, with django-oscar; see django_sites.py.
"""

from __future__ import annotations

import json
import sys

import django
from django.conf import settings
from django.core.management import call_command

data = json.load(sys.stdin)

from oscar import INSTALLED_APPS  # noqa: E402
from oscar.defaults import *  # noqa: E402, F403

settings.configure(
    **{name: value for name, value in globals().items() if name.startswith("OSCAR_")},
    SECRET_KEY="pages",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=INSTALLED_APPS,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "ATOMIC_REQUESTS": True}},
    HAYSTACK_CONNECTIONS={"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
    AUTHENTICATION_BACKENDS=["oscar.apps.customer.auth_backends.EmailBackend"],
    LANGUAGE_CODE=data["language"],
    STATIC_URL="/static/",
    MEDIA_URL="/media/",
    SITE_ID=1,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    ROOT_URLCONF="shop_urls",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
        "oscar.apps.basket.middleware.BasketMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.template.context_processors.i18n",
                    "django.contrib.messages.context_processors.messages",
                    "oscar.apps.search.context_processors.search_form",
                    "oscar.apps.checkout.context_processors.checkout",
                    "oscar.apps.communication.notifications.context_processors.notifications",
                    "oscar.core.context_processors.metadata",
                ]
            },
        }
    ],
)
django.setup()
call_command("migrate", verbosity=0)

from django.test import Client  # noqa: E402
from oscar.core.loading import get_model  # noqa: E402

ProductClass, Product, Category = (get_model("catalogue", name) for name in ("ProductClass", "Product", "Category"))
StockRecord, Partner = get_model("partner", "StockRecord"), get_model("partner", "Partner")
kind = ProductClass.objects.create(name=data["class"], requires_shipping=True, track_stock=False)
partner = Partner.objects.create(name="Partner")
categories = [Category.add_root(name=name) for name in data["categories"]]
products = []
for i, entry in enumerate(data["products"]):
    product = Product.objects.create(
        title=entry["name"], product_class=kind, upc=f"97800{i:05}", description=entry["html"]
    )
    for name, value in entry["values"].items():
        code = "".join(c if c.isalnum() and c.isascii() else "_" for c in name.lower()) + f"_{len(name)}"
        kind.attributes.get_or_create(code=code, defaults={"name": name, "type": "text", "required": False})
        setattr(product.attr, code, value)
    product.save()
    product.categories.add(categories[i % len(categories)])
    StockRecord.objects.create(product=product, partner=partner, partner_sku=f"sku{i}", price=19 + 7 * i)
    products.append(product)
for i, product in enumerate(products):
    for step in (1, 2, 3):
        product.recommended_products.through.objects.create(
            primary=product, recommendation=products[(i + step) % len(products)]
        )
client = Client(HTTP_ACCEPT_LANGUAGE=data["language"])
pages = [client.get(product.get_absolute_url(), follow=True).content.decode() for product in products]
pages.append(client.get("/catalogue/", follow=True).content.decode())
json.dump(pages, sys.stdout)
