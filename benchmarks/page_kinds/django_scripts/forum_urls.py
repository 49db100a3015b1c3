"""The addresses of the machina forum."""

from django.urls import include, path
from machina import urls

urlpatterns = [path("", include(urls))]
