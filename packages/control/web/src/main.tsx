import { render } from 'preact';
import './styles/tokens.css';
import './styles/base.css';
import './styles/layout.css';
import './styles/parts.css';
import './styles/tables.css';
import './styles/views.css';
import { Page } from './shell/page.tsx';
import { App } from './state/app.ts';
import { ThemeChoice } from './state/theme.ts';
import { AppContext } from './state/use.ts';

const root = document.getElementById('page');
if (root !== null) {
  const theme = new ThemeChoice();
  theme.start();
  const app = new App();
  app.start();
  render(
    <AppContext.Provider value={app}>
      <Page theme={theme} />
    </AppContext.Provider>,
    root,
  );
}
