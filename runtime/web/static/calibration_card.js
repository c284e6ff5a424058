// Calibration and commissioning of the camera that is shown large: what was seen, what is missing, when it is there.
import { page } from "./state.js";
import { $, element, lasting, local, moment, seconds, setText } from "./text.js";

const STATES = {
  reading: ["What is recorded is being read", "off"], recording: ["Being commissioned", "off"], making: ["Its bundle is being made", "off"],
  failed: ["Making its bundle failed, and is tried again within an hour", "off"],
  done: ["Commissioned", ""], kept: ["Commissioned; the new bundle was not better, so the old one stays", ""],
};

function verdict(camera) {
  if (camera.commissioning) return STATES[camera.commissioning.state] ?? [camera.commissioning.state, ""];
  if (camera.misfit) return ["No longer fits", "off"];
  if (camera.provisional) return ["Provisional", "off"];
  return camera.calibrated === false ? ["Threshold set by hand", "off"] : ["Calibrated", ""];
}

function lines(camera) {
  const progress = camera.commissioning, said = [];
  if (progress?.state === "reading") {
    said.push(progress.error ?? "How much there is and what is missing is told when it is read");
  } else if (progress) {
    said.push(`${lasting(progress.seconds)} with people of ${lasting(progress.needed_seconds)}, ${progress.people} people`);
    if (progress.missing.length) said.push("Missing: " + progress.missing.join(" and "));
    else if (progress.state === "recording") said.push("Everything is there");
    if (progress.missing.length && progress.ready_at_utc) said.push("Expected to be ready: " + moment(seconds(progress.ready_at_utc)));
    if (progress.error) said.push(progress.error);
    if (progress.trains === false && progress.state !== "done") {
      said.push("torch is not installed on this device: the model stays as it is, and its alarm is calibrated");
    }
  } else if (camera.recorded) {
    said.push(`Recorded since the start: ${lasting(camera.recorded.seconds)} with people, ${camera.recorded.people} people`);
  }
  if (camera.misfit) said.push(`${camera.misfit}. Calibrate again, with these zones`);
  if (!progress && camera.provisional && !camera.misfit) {
    said.push("The threshold is a guess and promises no rate of false alarms. To commission the camera: daflow-edge commission");
  } else if (camera.provisional) said.push("Until then its alarms are provisional");
  else if (camera.calibrated === false && !camera.misfit) said.push("It promises no rate of false alarms");
  return said;
}

export function showCalibration(name) {
  const camera = page.health?.cameras?.[name];
  $("calibration").hidden = !camera;
  if (!camera) return;
  const [word, kind] = verdict(camera), progress = camera.commissioning, said = lines(camera);
  setText($("calibration-word"), word);
  $("calibration-word").className = "word " + kind;
  $("commissioning").hidden = !progress;
  if (progress) {
    $("commissioning").value = progress.share;
    $("commissioning").setAttribute("aria-valuetext", `${Math.round(100 * progress.share)} percent`);
  }
  if ($("calibration-lines").dataset.said !== said.join("\n")) {
    $("calibration-lines").dataset.said = said.join("\n");
    $("calibration-lines").replaceChildren(...said.map((text) => element("li", local(text))));
  }
  showHours(progress?.hours_of_day);
}

// The hours of the day by the clock of the device, as what is missing may be the night.
function showHours(seen) {
  $("hours").hidden = !seen;
  if (!seen || $("hours").dataset.seen === String(seen)) return;
  $("hours").dataset.seen = String(seen);
  $("hours").setAttribute("aria-label", seen.length
    ? "People were there at these hours of the day: " + seen.join(", ") : "Nobody was there yet");
  $("hours").replaceChildren(...Array.from({ length: 24 }, (_, hour) => {
    const cell = element("span", hour % 6 ? "" : String(hour), seen.includes(hour) ? "seen" : "");
    cell.title = `${hour}:00`;
    return cell;
  }));
}
