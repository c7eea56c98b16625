/** Signing in and up, and making the first administrator. */
export const account = {
  email: 'E-mail',
  password: 'Password',
  name: 'Your name',
  passwordHint: 'At least 12 characters. A few words in a row are easy to remember.',
  noName: 'Enter your name.',
  noEmail: 'Enter your e-mail address.',
  noPassword: 'Enter your password.',
  create: 'Create account',
  signIn: {
    title: 'Sign in',
    ended: 'Your session has ended. Sign in again to go on where you were.',
    keyLost: 'The key was not saved: paste it again.',
    needsSetUp: 'This server has no administrator yet. Is that you? Open the one-time link that the server printed on its console.',
    noAccount: 'No account yet?',
  },
  signUp: { title: 'Sign up', haveOne: 'You have an account?' },
  setUp: {
    title: 'Welcome',
    shortTitle: 'Set up',
    lead: 'This server has no administrator yet. Create that account now: it is yours, and with it you run the server.',
    noToken: 'This page needs the one-time link that the server printed on its console when it started. Open that whole link.',
    done: 'This server is already set up, so its set-up link no longer works.',
    home: 'Go to your API keys',
  },
};
