// What the visitor's key allows, as the server said it with the page: no more is offered than can be done.

const scopes = (document.body.dataset.scopes || "").split(" ");

/** Whether the visitor may "read", "write" or "admin". The server decides; this only spares them a refusal. */
export const may = (scope) => scopes.includes(scope);

/** Have controls that need a scope take nothing where it is lacking, and say why on each. */
export function keepFor(scope, ...controls) {
  if (may(scope)) return;
  for (const one of controls) {
    if (!one) continue;
    for (const control of one.matches("button, input, select, textarea") ? [one] : one.querySelectorAll("button, input, select, textarea")) {
      control.disabled = true;
      control.title = `Your key does not allow this: it needs ${scope}.`;
    }
  }
}
