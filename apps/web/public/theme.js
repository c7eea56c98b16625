// Before the first paint: a chosen appearance that differs from the system's. The rest of it is src/preferences.ts.
try {
  const theme = localStorage.getItem('byok-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {}
