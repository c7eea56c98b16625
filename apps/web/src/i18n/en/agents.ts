export const agents = {
  title: 'AI Cofounders',
  lead: 'Six colleagues for your company. Every answer uses your own key where it works, else the platform’s within your limits.',
  leadPlatform: 'Six colleagues for your company. Answers use the platform’s keys within your limits.',
  ask: 'Ask',
  askNamed: 'Ask {name}',
  startWith: 'Start with',
  locked: 'Premium and Lifetime',
  lockedNamed: '{name} is part of Premium and Lifetime.',
  lockedMeans: 'With Premium or Lifetime you have all six.',
  plans: 'See the plans',
  none: 'There is no such agent.',
  all: 'All agents',
};
