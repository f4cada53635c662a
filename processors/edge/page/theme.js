/** Runs before the page is painted, so that a chosen theme does not flash in as the other one. Not a module for that reason. */
(() => {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const dark = () => (root.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark';
  try {
    const chosen = localStorage.getItem('theme');
    if (chosen === 'dark' || chosen === 'light') root.dataset.theme = chosen;
  } catch {
    // Storage is forbidden: the system's theme, then.
  }

  addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const label = () => {
      button.setAttribute('aria-label', `Switch to the ${dark() ? 'light' : 'dark'} theme`);
      button.dataset.shows = dark() ? 'sun' : 'moon';
    };
    button.addEventListener('click', () => {
      root.dataset.theme = dark() ? 'light' : 'dark';
      try {
        localStorage.setItem('theme', root.dataset.theme);
      } catch {
        // The choice lasts as long as the page.
      }
      label();
    });
    system.addEventListener('change', label);
    label();
  });
})();
