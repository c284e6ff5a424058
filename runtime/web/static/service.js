// Requests to the service.

export async function get(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(8000) });
  if (answer.status === 401) location.reload();
  if (!answer.ok && path !== "api/health") throw new Error(path + ": HTTP status " + answer.status);
  return answer.json();
}
