(() => {
  const tools = document.querySelector('.tools');
  const actions = [...document.querySelectorAll('.action')];
  const setAll = open => actions.forEach(action => { action.open = open; });
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === 'DETAILS') target.open = true;
  };
  addEventListener('hashchange', reveal);
  addEventListener('beforeprint', () => setAll(true));
  reveal();
  if (!tools) return;
  tools.hidden = false;
  const [input, open, close] = [tools.querySelector('input'), ...tools.querySelectorAll('button')];
  open.addEventListener('click', () => setAll(true));
  close.addEventListener('click', () => setAll(false));
  input.addEventListener('input', () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const action of actions) {
      const text = action.firstElementChild.textContent.toLowerCase();
      action.hidden = !words.every(word => text.includes(word));
    }
    for (const group of document.querySelectorAll('.group')) {
      group.hidden = !group.querySelector('.action:not([hidden])');
    }
  });
})();
