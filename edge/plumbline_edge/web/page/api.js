// Requests to the device. Whatever changes something carries a header that no other site's page can send.
export async function ask(path, method = "GET", body = undefined) {
  const headers = method === "GET" ? {} : { "X-Plumbline": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, cache: "no-store", body: body && JSON.stringify(body) });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const content = await answer.json().catch(() => null);
  throw new Error(content?.error?.message ?? `${method} ${path}: ${answer.status}`);
}
