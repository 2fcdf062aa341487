// Shows the document, and opens what a reader wants to see first: the fields of each message.
AsyncApiStandalone.render(about, document.getElementById('page'));

const PARTS = '#messages [id$="-payload"], #messages [id$="-headers"]';
const OPEN = '.-rotate-90';
const QUIET = 3;

/** The parts of the messages that are still closed, as the buttons that open them. */
function closed() {
  const buttons = [...document.querySelectorAll(PARTS)].map((part) => part.querySelector('button'));
  return buttons.filter((button) => button?.querySelector('svg') && !button.querySelector(OPEN));
}

// The component closes them once more while it comes up, so this looks until they stay open.
let quiet = 0;
const timer = setInterval(() => {
  const buttons = closed();
  buttons.forEach((button) => button.click());
  const there = document.querySelector(PARTS) !== null;
  quiet = there && buttons.length === 0 ? quiet + 1 : 0;
  if (quiet < QUIET) return;
  clearInterval(timer);
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}, 50);
