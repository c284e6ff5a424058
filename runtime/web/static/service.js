// Requests to the service.

// Which a page of another origin cannot send (runtime/web/write_access.py).
const HEADERS = { "x-daflow-page": "1" };

export async function get(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(8000) });
  if (answer.status === 401) location.reload();
  if (!answer.ok && path !== "api/health") throw new Error(path + ": HTTP status " + answer.status);
  return answer.json();
}

// Changes something; throws an error whose message says why it was not done.
export async function change(method, path, content) {
  let answer;
  try {
    answer = await fetch(path, {
      method, headers: content === undefined ? HEADERS : { ...HEADERS, "content-type": "application/json" },
      body: content === undefined ? undefined : JSON.stringify(content), signal: AbortSignal.timeout(8000),
    });
  } catch {
    throw new Error("The service does not respond.");
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error("Not done: " + (said.error ?? "HTTP status " + answer.status) + ".");
  return said;
}
