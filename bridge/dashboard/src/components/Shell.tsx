/** What stands on the page while it is on its way; index.html begins with the same. */
export function Shell() {
  return (
    <div className="hf-shell">
      <img src="/holdfast.svg" alt="" width="26" height="26" />
      Holdfast
    </div>
  );
}
