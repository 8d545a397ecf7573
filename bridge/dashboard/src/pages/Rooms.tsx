/** What a user sees who is logged in: each page by its address (ROUTES in bridge/web/pages.py). */
import { useEffect } from 'react';
import { BrowserRouter, Route, Routes } from 'react-router';
import { Boundary } from '../components/Boundary';
import { Dialogs } from '../components/Dialogs';
import { Frame } from '../components/Frame';
import { Attention } from '../feedback/Attention';
import { Toasts } from '../feedback/Toasts';
import { ListPage } from './ListPage';
import { MissingPage } from './MissingPage';
import { CreatePage, EscrowPage, fetchAllPages, OperatorPage, SettingsPage } from './pages';

export function Rooms() {
  useEffect(fetchAllPages, []);
  return (
    <BrowserRouter>
      <Boundary instead={<MissingPage />}>
        <Dialogs>
          <Attention />
          <Routes>
            <Route element={<Frame />}>
              <Route path="/" element={<ListPage />} />
              <Route path="/new" element={<CreatePage />} />
              <Route path="/escrows/:id" element={<EscrowPage />} />
              <Route path="/settings" element={<SettingsPage />} />
              <Route path="/operator/:room?" element={<OperatorPage />} />
              <Route path="*" element={<MissingPage />} />
            </Route>
          </Routes>
          <Toasts />
        </Dialogs>
      </Boundary>
    </BrowserRouter>
  );
}
