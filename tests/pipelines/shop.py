"""Load a made-up shop: what pipelines gather once they have grown."""

import os

import dlt
import pendulum
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.paginators import HeaderLinkPaginator, PageNumberPaginator
from dlt.sources.rest_api import RESTAPIConfig, rest_api_source
from pydantic import BaseModel

from .settings import REGION

HOST = "https://shop.example.com"
BASE_URL = f"{HOST}/v2"
PAGE_SIZE = 25 * 4
COMMON = {"per_page": PAGE_SIZE, "expand": ["lines", "customer"]}


class Order(BaseModel):
    id: int


class WeeklyPaginator(PageNumberPaginator):
    def update_state(self, response, data=None):
        super().update_state(response, data)


def without_test_orders(order):
    return not order["test"]


def shorten(response, *args, **kwargs):
    return response


@dlt.resource(selected=False)
def branches():
    yield [{"id": 1}, {"id": 2}]


def make_config(shop: str, api_version=dlt.config["sources.shop.version"]) -> RESTAPIConfig:
    resources = [
        {
            "name": f"{kind}_{shop}",
            "endpoint": {"path": f"{kind}", "params": {**COMMON, "shop": shop}, "paginator": HeaderLinkPaginator()},
        }
        for kind in ("products", "customers")
    ]
    resources.append(
        {
            "name": "orders",
            "primary_key": ["id"],
            "columns": Order,
            "processing_steps": [{"filter": without_test_orders}, {"map": lambda order: order}],
            "endpoint": {
                "path": "orders",
                "params": {
                    **COMMON,
                    "version": api_version,
                    "region": REGION,
                    "until": pendulum.now().to_date_string(),
                    "since": dlt.sources.incremental("updated_at", initial_value="2024-01-01T00:00:00Z"),
                },
                "paginator": PageNumberPaginator(1, page_param="p", total_path=None),
                "response_actions": [
                    {"status_code": 404, "action": "ignore"},
                    {"status_code": 200, "action": shorten},
                ],
            },
        },
    )
    resources += [
        branches,
        {"name": "stock", "endpoint": "branches/{resources.branches.id}/stock"},
        {"name": "prices", "endpoint": {"path": "prices", "paginator": WeeklyPaginator()}},
    ]
    config = {
        "client": {
            "base_url": BASE_URL,
            "auth": BearerTokenAuth(token=os.environ["SHOP_TOKEN"]),
            "headers": {"Accept": "application/json"},
        },
        "resources": resources,
    }
    config["client"]["headers"]["X-Client"] = "nightly"
    return config


shop = rest_api_source(make_config("north"))
