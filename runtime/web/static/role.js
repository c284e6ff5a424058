// What a visitor may do: a viewer sees everything, an operator changes something too.
import { mayWrite, page } from "./state.js";
import { $, setText } from "./text.js";

const WHY = {
  viewer: "You are signed in as a viewer: to change something, sign in with the operator's token.",
  null: "To change something here, give the service a token (serve.token_file), and sign in with it.",
};

export function showRole(role) {
  page.role = role;
  document.body.classList.toggle("reads-only", !mayWrite());
  $("role").hidden = mayWrite();
  setText($("role"), WHY[role] ?? "");
  page.dirty = true;
}
