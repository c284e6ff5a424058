from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from daflow.core.alarms.calibration import camera_name_error
from daflow.core.bundle import Bundle
from daflow.core.errors import InputError
from daflow.core.shipped import shipped_bundle
from runtime.cli import main
from runtime.config.file import make_config, to_toml
from runtime.config.options import OPTION_NAMES, named_sources, places
from runtime.config.schema import Camera, Config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def run(*arguments: object) -> Result:
    ran = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran


def write(folder: Path, text: str) -> Path:
    path = folder / "edge.toml"
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path | None, options: dict[tuple[str, ...], Any] | None = None) -> Config:
    return make_config(path, options or {}, OPTION_NAMES)


def answered(path: Path | None, options: dict[tuple[str, ...], Any]) -> bool:
    """Whether the answer is a configuration, or a sentence that names the file."""
    try:
        read(path, options)
    except InputError as error:
        return bool(error.message) and (path is None or str(path) in error.message)
    return True


WHOLE = """
bundle = "shop"
people = "few"
[alarm]
threshold = 5.5
end_seconds = 2
[cameras.door]
source = "rtsp://user:${DOOR}@10.0.0.5/live"
[cameras.hall]
source = "synthetic:"
people = "many"
alarm.threshold = 7
[mqtt]
host = "broker"
password_file = "secret"
"""


def test_a_camera_takes_from_the_top_what_it_does_not_say(tmp_path: Path) -> None:
    config = read(write(tmp_path, WHOLE))
    door, hall = config.camera("door"), config.camera("hall")
    assert (door.people, hall.people) == ("few", "many")
    assert (door.alarm.threshold, hall.alarm.threshold) == (5.5, 7)
    assert door.alarm.end_seconds == hall.alarm.end_seconds == 2
    assert door.source == "rtsp://user:${DOOR}@10.0.0.5/live"


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = read(write(tmp_path, WHOLE))
    assert (config.bundle, config.mqtt.password_file) == (tmp_path / "shop", tmp_path / "secret")


def test_without_a_bundle_it_is_the_one_of_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    config = read(None, {("cameras", "door", "source"): "x.mp4"})
    assert config.bundle is None
    assert config.bundle_folder == shipped_bundle()
    assert "#bundle =" in to_toml(config)


def test_the_command_line_counts_more_than_the_file(tmp_path: Path) -> None:
    options = {("people",): "one", ("mqtt", "port"): "8883", ("cameras", "door", "source"): "x.mp4"}
    config = read(write(tmp_path, WHOLE), options)
    assert (config.people, config.mqtt.port, config.cameras["door"].source) == ("one", 8883, "x.mp4")


def test_every_wrong_field_has_a_line_that_says_where_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE + 'port = "many"\n[serve]\naddress = "nowhere"\n[store]\nkeep = 3\n')
    with pytest.raises(InputError) as caught:
        read(path, {("alarm", "release"): "low"})
    lines = caught.value.message.splitlines()
    assert len(lines) == 4
    for line, words in zip(
        sorted(lines),
        ["--release: ", "mqtt.port: ", "serve.address: ", "store.keep: There is no such setting"],
        strict=True,
    ):
        assert words in line
        assert line.startswith(("--release", f"{path}: "))
        assert line.endswith(".")


def test_what_is_missing_is_named_with_its_option() -> None:
    with pytest.raises(InputError) as caught:
        read(None)
    assert caught.value.message.splitlines() == [
        "cameras is missing: give --source, or set it in a file that --config names.",
    ]


@pytest.mark.parametrize(
    "text", ["bundle = ", "[[[", "a = 1\na = 2", "\0", "bundle = 'x'\n[cameras]\ndoor = 3"]
)
def test_a_broken_file_is_one_error(tmp_path: Path, text: str) -> None:
    ran = run("--config", write(tmp_path, text), "--check-config")
    assert ran.exit_code == 2
    assert ran.output.startswith("Error: ")
    assert "edge.toml" in ran.output


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 1100) + " = 1",
        ".".join(["a"] * 100_000) + " = 1",
        ".".join(["'a'"] * 70) + " = 1",
        "[" + ".".join(["a"] * 1100) + "]",
        "x = " + "{a=" * 300 + "1" + "}" * 300,
        "x = " + "{a=" * 50_000 + "1" + "}" * 50_000,
        "x = " + "[" * 300 + "]" * 300,
        "[a.a.a.a.a.a.a.a.a.a.a]",
        "max_frames = 0x" + "9" * 100_000,
    ],
    ids=range(9),
)
def test_what_is_nested_or_large_beyond_reason_is_one_sentence(tmp_path: Path, text: str) -> None:
    ran = run("--config", write(tmp_path, f"bundle = 'b'\n{text}\n"), "--check-config")
    assert ran.exit_code == 2
    assert ran.output.startswith(("Error: ", "cameras is missing"))
    assert "edge.toml" in ran.output
    assert len(ran.output) < 400
    assert isinstance(ran.exception, SystemExit)


def test_dots_in_texts_and_comments_are_no_names(tmp_path: Path) -> None:
    networks = ", ".join(f'"10.0.{number}.0/24"' for number in range(60))
    text = f"# {'.' * 100}\n{WHOLE}\n[serve]\ntrusted_proxies = [{networks}]  # {'.' * 100}\n"
    assert len(read(write(tmp_path, text)).serve.trusted_proxies) == 60


def test_the_host_of_a_broker_is_no_url_with_a_password() -> None:
    ran = run("--bundle", "b", "--source", "synthetic:", "--mqtt-host", "mqtt://u:sesame@h", "--print-config")
    assert (ran.exit_code, "sesame" in ran.output, "without mqtt://" in ran.output) == (2, False, True)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    ran = run("--config", tmp_path / "none.toml")
    assert (ran.exit_code, "--print-config" in ran.output) == (2, True)


FIELDS = [*{name for place in OPTION_NAMES for name in place}, "cameras", "x"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([name for place in OPTION_NAMES for name in place] + ["cameras", "x"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_is_configured_the_answer_is_a_configuration_or_a_sentence(tree: Any) -> None:
    options = (
        {(name,): value for name, value in tree.items()} if isinstance(tree, dict) else {("alarm",): tree}
    )
    assert answered(None, options)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_no_file_is_answered_by_a_traceback(tmp_path: Path, text: str) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(WHOLE + text, encoding="utf-8", errors="surrogatepass")
    assert answered(path, {})


def test_a_folder_to_commission_in_is_relative_to_the_file_and_cameras_may_be_left_out(
    tmp_path: Path,
) -> None:
    text = '[commissioning]\nfolder = "here"\n[cameras.door]\nsource = "a"\n[cameras.hall]\nsource = "b"\n'
    config = read(write(tmp_path, text + "commission = false\n"))
    assert config.commissioning.folder == tmp_path / "here"
    assert config.commissioned_cameras == ("door",)
    assert not config.camera("hall").commission
    assert config.watched_bundle is None
    (tmp_path / "here" / "bundle").mkdir(parents=True)
    assert config.bundle_folder == tmp_path / "here" / "bundle"
    assert read(None, {("cameras", "door", "source"): "a"}).commissioned_cameras == ()
    rate = {("commissioning", "false_alarms_per_day"): "0"}
    with pytest.raises(InputError, match=r"--commissioning-false-alarms-per-day: .*greater than 0"):
        read(write(tmp_path, text), rate)


def test_what_is_printed_reads_as_the_same_configuration(tmp_path: Path) -> None:
    config = read(write(tmp_path, WHOLE))
    again = read(write(tmp_path, to_toml(config)))
    assert again.model_dump(exclude={"cameras"}) == config.model_dump(exclude={"cameras"})
    assert {name: again.camera(name) for name in again.cameras} == {
        name: config.camera(name) for name in config.cameras
    }


def test_a_printed_configuration_hides_passwords_and_explains_each_field(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE.replace("${DOOR}", "sesame"))
    ran = run("--config", path, "--print-config")
    assert ran.exit_code == 0
    assert "sesame" not in ran.output
    tomllib.loads(ran.stdout)
    for place, _ in places():
        assert f"{place[-1]} =" in ran.stdout


WITH_SECRETS = """bundle = "b"
[cameras.door]
source = "rtsp://10.0.0.5:8554/user=admin_password=sesame_channel=1.sdp"
[cameras.hall]
source = "gst:souphttpsrc location=http://h extra-headers=sesame ! decodebin"
[cameras.yard]
source = "rtsp://u:${YARD}@10.0.0.6/live?channel=1"
[webhook]
url = "https://ntfy.sh/sesame"
[notify]
urls = ["ntfys://sesame", "tgram://${S}"]
"""


def test_a_printed_configuration_that_lacks_secrets_says_so_and_is_refused(tmp_path: Path) -> None:
    ran = run("--config", write(tmp_path, WITH_SECRETS), "--print-config")
    assert "sesame" not in ran.output
    assert ran.stderr.startswith(
        "Not printed whole, as they may hold secrets: cameras.door.source, cameras.hall.source, webhook.url, "
        "notify.urls."
    )
    assert ran.stdout.count("# *** stands for what may be a secret") == 4
    printed = tomllib.loads(ran.stdout)
    assert printed["cameras"]["door"]["source"] == "rtsp://10.0.0.5:8554/***"
    assert printed["cameras"]["yard"]["source"] == "rtsp://u:${YARD}@10.0.0.6/live?channel=1"
    assert printed["notify"]["urls"] == ["ntfys://***", "tgram://${S}"]
    again = run("--config", write(tmp_path, ran.stdout), "--check-config")
    assert again.exit_code == 2
    lines = again.output.splitlines()
    wrong = ("cameras.door.source", "cameras.hall.source", "webhook.url", "notify.urls.0")
    for line, place in zip(lines, wrong, strict=True):
        assert f"{place}: *** stands where --print-config left out what may be a secret" in line
        assert "${NAME}" in line


def test_a_configuration_with_placeholders_only_is_printed_whole(tmp_path: Path) -> None:
    text = WITH_SECRETS.replace("=sesame", "=${S}").replace("=admin_", "=${U}_").replace("sesame", "${S}")
    config = read(write(tmp_path, text))
    ran = run("--config", tmp_path / "edge.toml", "--print-config")
    assert ran.stderr == ""
    again = read(write(tmp_path, ran.stdout))
    assert [again.camera(name).source for name in again.cameras] == [
        config.camera(name).source for name in config.cameras
    ]
    assert again.webhook == config.webhook
    assert again.notify == config.notify


def test_every_field_is_an_option_with_a_description() -> None:
    options = {option for parameter in main.params for option in parameter.opts}
    for place, field in places():
        assert OPTION_NAMES[place] in options
        assert field.description
        assert field.description.endswith(".")
    assert all(field.description for field in Camera.model_fields.values() if field.annotation is str)
    assert len(set(OPTION_NAMES.values())) == len(OPTION_NAMES)


@pytest.mark.parametrize(
    "uri",
    [
        "rtsp://admin:sesame@10.0.0.5/live",
        "door=rtsp://admin:sesame@10.0.0.5/live",
        "http://a:b@[::1]/x",
        "rtsp://admin:se/same@10.0.0.5/live",
        "rtsp://10.0.0.5/live?password=sesame",
        "gst:rtspsrc location=rtsp://10.0.0.5/live user-pw=sesame ! decodebin",
        "gst:rtspsrc location=rtsp://u:sesame@10.0.0.5/live ! decodebin",
        "rtsp://10.0.0.5/user=admin_password=sesame_channel=1.sdp",
        "rtsp://sesame@10.0.0.5/live",
        "rtsp://10.0.0.5/live?tk=sesame",
        'gst:souphttpsrc location=http://h extra-headers="a,Authorization=sesame" ! decodebin',
    ],
)
def test_a_password_on_the_command_line_is_refused_and_not_repeated(uri: str) -> None:
    ran = run("--bundle", "no-bundle-yet", "--source", uri)
    assert ran.exit_code == 2
    assert "--source may hold a password" in ran.output
    assert "'${CAMERA}'" in ran.output
    assert "sesame" not in ran.output


def test_the_secret_path_of_a_webhook_is_refused_on_the_command_line() -> None:
    told = ("--bundle", "no-bundle-yet", "--source", "synthetic:", "--print-config", "--webhook-url")
    ran = run(*told, "https://ntfy.sh/sesame")
    assert (ran.exit_code, "sesame" in ran.output, "'${WEBHOOK_URL}'" in ran.output) == (2, False, True)
    for url in ("${WEBHOOK_URL}", "https://ntfy.sh/${TOPIC}", "https://ntfy.sh"):
        assert f'url = "{url}"' in run(*told, url).stdout


def test_an_address_of_a_service_is_refused_on_the_command_line() -> None:
    told = ("--bundle", "no-bundle-yet", "--source", "synthetic:", "--print-config", "--notify-urls")
    for url in ("ntfys://ntfy.sh/sesame", "sesame", "pbul://sesame", "json://sesame@10.0.0.5"):
        ran = run(*told, url)
        assert (ran.exit_code, "sesame" in ran.output, "'${NOTIFY_URL}'" in ran.output) == (2, False, True)
    ran = run(*told, "${ONE}", "--notify-urls", "ntfys://${TWO}", "--notify-quiet", "mon,tue 00:00-06:00",
              "--notify-messages", "alarm_end")  # fmt: skip
    printed = tomllib.loads(ran.stdout)["notify"]
    assert printed["urls"] == ["${ONE}", "ntfys://${TWO}"]
    assert (printed["quiet"], printed["messages"]) == (["mon,tue 00:00-06:00"], ["alarm_end"])


def test_sources_have_names() -> None:
    assert named_sources(("synthetic:seed=3",)) == {"camera": "synthetic:seed=3"}
    assert named_sources(("a=x.mp4", "rtsp://h/?a=b")) == {"a": "x.mp4", "camera2": "rtsp://h/?a=b"}
    ran = run("--bundle", "b", "--source", "a=x", "--source", "a=y")
    assert "Two sources are named a" in ran.output


def test_check_config_finds_all_that_is_wrong_and_starts_nothing(bundle: Bundle, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"""bundle = "{bundle.folder}"
events = "events.jsonl"
[cameras.door]
source = "missing.mp4"
[cameras.hall]
source = "rtsp://127.0.0.1:9/${{NO_SUCH_VARIABLE}}"
[mqtt]
host = "127.0.0.1"
password_env = "NO_SUCH_PASSWORD"
[serve]
address = "0.0.0.0:0"
""",
    )
    ran = run("--config", path, "--check-config")
    assert ran.exit_code == 2
    for words in ("missing.mp4", "NO_SUCH_VARIABLE", "NO_SUCH_PASSWORD", "serve"):
        assert words in ran.output
    assert not (tmp_path / "events.jsonl").exists()


def test_check_config_says_when_nothing_is_wrong(bundle: Bundle, tmp_path: Path) -> None:
    path = write(tmp_path, f'bundle = "{bundle.folder}"\n[cameras.door]\nsource = "synthetic:"\n')
    ran = run("--config", path, "--check-config")
    assert (ran.exit_code, "1 cameras, nothing is wrong" in ran.output) == (0, True)


# Camera names

ANY_LETTERS = st.text("ab客é1 -_.()&", min_size=1, max_size=20) | st.text(min_size=1, max_size=70)


@given(ANY_LETTERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_a_camera_name_is_refused_with_a_sentence_or_works_everywhere(name: str) -> None:
    error = camera_name_error(name)
    assert (error is None) == is_a_name(name)
    cameras = {name: {"source": "synthetic:"}}
    if error is not None:
        with pytest.raises(ValidationError, match="A camera cannot be named"):
            Config.model_validate({"bundle": "b", "cameras": cameras})
        return
    config = Config.model_validate({"bundle": "b", "cameras": cameras})
    assert list(tomllib.loads(to_toml(config))["cameras"]) == [name]
    assert named_sources((f"{name}=rtsp://10.0.0.5/live?a=b",)) == {name: "rtsp://10.0.0.5/live?a=b"}
    for part in (name, f"{name}_20261125T120000Z.json", f"out.{name}.mp4"):
        assert Path("folder", part).parts == ("folder", part)
        assert len(part.encode()) < 255
    assert not set(name) & set("/\\+#=\"'`\n\r\t\0:*?<>|,;$%")


def is_a_name(name: str) -> bool:
    """The rule once more, in other words."""
    first = name[0].isalpha() or unicodedata.category(name[0])[0] == "N"
    letters = all(letter in " -_.()&" or unicodedata.category(letter)[0] in "LMN" for letter in name)
    short = len(name) <= 64 and len(name.encode("utf-8", "replace")) <= 128
    return first and letters and short and name[-1] not in " ." and unicodedata.normalize("NFC", name) == name


@pytest.mark.parametrize(
    "name",
    [
        "客厅",
        "Küche 1",
        "Вход",
        "مدخل",
        "प्रवेश",
        "ทางเข้า",
        "front_door",
        "hall-2",
        "1",
        "Hall (left)",
        "A & B",
        "x" * 64,
    ],
)
def test_names_of_any_script_are_names(name: str) -> None:
    assert camera_name_error(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "a/b", "a\\b", "a+b", "a#", "a=b", 'a"b', "a'b", "a`b", "a\nb", "a\x1b[31m", "a\u202eb", "a\u2028b",
        "a:b", "..", ".a", "-a", "_a", "a.", "a ", "a,b", "a*", "$a", "a%b", "x" * 65, "客" * 43,
        "Ku\u0308che", "a\ud800",
    ],
)  # fmt: skip
def test_names_that_break_something_are_refused(name: str) -> None:
    error = camera_name_error(name)
    assert error is not None
    assert "\n" not in error
    error.encode("ascii", "backslashreplace")
    with pytest.raises(InputError, match="A camera cannot be named"):
        read(None, {("bundle",): "b", ("cameras", name, "source"): "synthetic:"})


def test_a_name_that_is_refused_is_no_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("--bundle", "b", "--source", "a+b=synthetic:seed=3")
    assert result.exit_code == 2
    assert "A camera cannot be named 'a+b'" in result.output
    monkeypatch.chdir(tmp_path)
    for name in ("day=1.mp4", "Küche=synthetic:x"):
        assert named_sources((name,)) == {name.split("=")[0]: name.split("=")[1]}
        (tmp_path / name).touch()
        assert named_sources((name,)) == {"camera": name}
    assert named_sources(("synthetic:seed=3,event=fall", "a+b=1.mp4")) == {
        "camera1": "synthetic:seed=3,event=fall", "camera2": "a+b=1.mp4",
    }  # fmt: skip
