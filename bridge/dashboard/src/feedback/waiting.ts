/** How many escrows wait for the user, in front of the title of the browser's tab. */
let title = 'Holdfast';
let waiting = 0;

export function setTitle(text: string): void {
  title = text;
  show();
}

export function setWaiting(count: number): void {
  waiting = count;
  show();
}

function show(): void {
  document.title = waiting > 0 ? `(${waiting}) ${title}` : title;
}
