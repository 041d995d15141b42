"""One installed asset, with everything about it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from api import answers, errors
from api.answers import answer
from api.errors import not_found
from api.house import TheHouse
from api.schemas import examples
from api.schemas.accounts import AssetAnswer
from api.schemas.shape import Uuid
from api.standing import standing
from models import views

_Asset = Mapping[str, Any]

router = APIRouter(prefix="/v1/assets", tags=["assets"])


@router.get(
    "/{asset_id:ours}",
    summary="Read an asset",
    responses={
        200: {"model": AssetAnswer, **answers.documented("The asset.", examples.ASSET)},
        **errors.documented(404, 422),
    },
)
def asset(asset_id: Annotated[Uuid, Path(description="The asset's id.")], house: TheHouse) -> Response:
    """Attributes, billing ids, contract lines, order history, and the assets below it, nested (A17).

    Each with what may be asked of it now, and what open orders ask of it already (A07).
    """
    found = {x["id"]: x for x in standing(house, views.asset_tree(house.engine, asset_id))}
    if asset_id not in found:
        raise not_found("asset")
    below: dict[str | None, list[_Asset]] = {}
    for each in found.values():
        below.setdefault(each["parent"], []).append(each)
    return answer(_nested(found[asset_id], below))


def _nested(asset: _Asset, below: Mapping[str | None, Sequence[_Asset]]) -> dict[str, Any]:
    return {
        **asset,
        "billing": asset["billing"] or [],
        "contracts": [],
        "order_history": asset["order_history"] or [],
        "children": [_nested(child, below) for child in below.get(asset["id"], ())],
    }
