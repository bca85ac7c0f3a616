import pytest

from learning_core.access import Caller
from learning_core.datasets import queries
from learning_core.datasets.content import content_hash
from learning_core.datasets.download import prepare, save
from learning_core.datasets.exports import Format
from learning_core.errors import InvalidInput
from learning_core.schema import Role
from tests.datasets.reading import read


@pytest.fixture
def version(approve, freeze):
    approve(10, original_output="Before.")
    approve(10)
    return freeze("VAT advice")


@pytest.fixture
def uses(transaction):
    def read(version):
        with transaction() as session:
            rows = queries.uses(session, version.id)
            count = queries.version(session, version.id).test_uses
        return count, rows[["split", "purpose", "used_by"]].values.tolist()

    return read


def test_a_file_holds_one_split_or_all(version, curator, load):
    train = prepare(curator, "VAT advice", 1, "train", "jsonl")
    assert train.file_name == "vat-advice-v1-train.jsonl"
    assert {one.split for one in read(train.content(), Format.JSONL)} == {"train"}
    whole = read(prepare(curator, "VAT advice", None, None, "jsonl").content(), Format.JSONL)
    assert content_hash(whole) == version.content_hash


def test_only_files_with_the_test_split_count_as_looks(version, curator, uses):
    prepare(curator, "VAT advice", None, "train", "jsonl")
    prepare(curator, "VAT advice", None, "validation", "csv")
    assert uses(version) == (0, [])
    prepare(curator, "VAT advice", None, "test", "jsonl")
    prepare(curator, "VAT advice", None, None, "parquet")
    assert uses(version) == (
        2,
        [["test", "downloaded as parquet", "Cora"], ["test", "downloaded as jsonl", "Cora"]],
    )


def test_viewers_may_download_and_are_counted_too(version, organization, uses):
    prepare(Caller(organization.id, "Vera", Role.VIEWER), "VAT advice", None, "test", "jsonl")
    assert uses(version)[1][0][2] == "Vera"


def test_what_a_format_cannot_express_is_told(version, curator, tmp_path):
    path, left_out = save(curator, "VAT advice", None, None, "trl_dpo", tmp_path / "pairs.jsonl")
    assert left_out == 10
    assert len(read(path.read_bytes(), Format.TRL_DPO)) == 10


@pytest.mark.parametrize(("split", "format", "field"), [("all", "jsonl", "split"), (None, "xml", "format")])
def test_unknown_splits_and_formats_are_refused(version, curator, uses, split, format, field):
    with pytest.raises(InvalidInput, match="there are") as refusal:
        prepare(curator, "VAT advice", None, split, format)
    assert refusal.value.field == field
    assert uses(version) == (0, [])
